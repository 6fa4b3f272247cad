"""L2 process: sends a batch of mail by SMTP, and ends.

smtplib, ssl and email are loaded here alone: they would double what the parent weighs.
"""
