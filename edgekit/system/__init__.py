"""Gets information about the machine, the user's folders and EdgeKit's own installation."""
