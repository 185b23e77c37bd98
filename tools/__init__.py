"""What stands behind the command line: `cli.py` is the command, `verbs/` has a module for each verb."""
