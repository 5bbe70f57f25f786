"""The subcommands, a module each, which holds `command`. Nothing heavy is imported before a command runs."""
