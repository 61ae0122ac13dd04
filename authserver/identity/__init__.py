"""Who the user is: accounts, passwords, signing in, browser sessions. No HTTP."""
