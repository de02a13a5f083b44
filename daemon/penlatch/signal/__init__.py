"""From a signature to numbers: preprocessing, sequence channels, global features."""
