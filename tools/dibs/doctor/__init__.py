"""What the doctor looks for, and how it is told. Looks only."""
