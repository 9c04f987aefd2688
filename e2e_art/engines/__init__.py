"""What computes: MXNet and onnxruntime."""
