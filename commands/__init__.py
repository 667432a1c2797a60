"""Commands of the command line, a file for each noun; ``cli.py`` hangs them into its own."""
