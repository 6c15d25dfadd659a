"""What a trained model says of images, how good it is, how far its confidence can be trusted, and when it refuses."""
