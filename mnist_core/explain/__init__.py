"""Why a network answered as it did: its layers' outputs, saliency, neighbours, edits that flip it, doubted labels."""
