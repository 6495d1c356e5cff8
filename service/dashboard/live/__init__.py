"""What open pages of the dashboard are told: that something they show has changed."""
