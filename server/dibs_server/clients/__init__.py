"""What is known of the clients that start ``dibs serve``: where each is configured, and how that is edited."""
