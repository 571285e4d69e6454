"""How a credential gets into a request: kinds, presets, placeholders, signatures. Pure, but for preset files."""
