"""Order execution: submits approved orders, tracks them until they are final, reconciles with the venue."""
