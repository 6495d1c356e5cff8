"""Notices: immediate mails to an organization's admins about problems that they must solve."""
