"""The verbs of `m890`, a module each with a click command named `command`; imports of weight are inside them."""
