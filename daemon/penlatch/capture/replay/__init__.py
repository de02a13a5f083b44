"""Recorded signatures: SVC2004 text, evemu event logs and InkML, and a pen that plays them."""
