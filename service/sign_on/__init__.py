"""The OpenID Connect protocol: sign-in at an organization's provider, and sign-out.

It has no pages. Authlib and joserfc load when someone signs in, not when a process starts.
"""
