"""The MCP door: the table's tools over stdio."""
