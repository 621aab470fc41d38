"""The tracks of EdgeKit's own linker: their motion, matching, history and segments."""
