"""CT and MRI volumes: segmentation with identities kept, on a laptop's memory."""
