"""What the fleet hears: decisions, state, info and health over MQTT, and requests that come back the same way."""
