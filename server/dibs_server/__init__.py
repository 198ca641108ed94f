"""The doors to Dibs: MCP over stdio and the `dibs` command. Thin: every change goes through the verbs in `dibs`."""
