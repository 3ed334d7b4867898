"""What a trained model is worth: numbers from predictions and labels; draws and prints nothing."""
