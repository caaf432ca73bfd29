"""What a user names on the command line, or hands over in Python, as crystals one by one."""
