"""Live pages: notifications of open dashboard pages when something they show has changed."""
