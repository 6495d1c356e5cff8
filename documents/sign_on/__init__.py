"""Single sign-on: an organization's OpenID Connect provider, and whom it may sign in."""
