"""Signs bundles with Ed25519 keys, and verifies whose key signed a bundle.

``load_bundle(folder, require_signature=FILE)`` verifies a signature before it parses anything of
the bundle. Nothing here is imported unless a bundle is signed or deployed, or a signature is
required or shown.
"""
