"""`pave-gateway journal` and `pave-gateway keys`: what an operator does for the gateway itself."""

from pave_gateway.cli_common import AsJson, Site, ask, group, show_json

journal = group("The journal.")
keys = group("The keys that seal what is secret in the journal.")

_OLDER = "they open with those, which stay in the file; what is set or joins after the next start is under the new key"


@journal.command()
def seen(site: Site, as_json: AsJson = False) -> None:
    """Say that you have seen the journal's damage; status tells it no longer, the audit trail keeps it."""
    done = ask(site, lambda client: client.post("journal", "seen"))
    if as_json:
        show_json(done)
    else:
        print(f"done, act {done['act']}: seen: {done['damage']}")


@keys.command()
def rotate(site: Site, as_json: AsJson = False) -> None:
    """Make a new sealing key and seal the keys of all devices with it; go on with that where it was killed."""
    done = ask(site, lambda client: client.post("keys", "rotate"))
    if as_json:
        show_json(done)
        return
    print(f"done, act {done['act']}: {done['devices']} devices sealed anew, {done['sealing_keys']} keys in the file")
    print(f"Copy the key file off this machine again, an older copy does not open the journal: {done['key_file']}")
    if done["older_wifi"] or done["older_sessions"]:
        older = f"{done['older_wifi']} Wi-Fi passphrases and {done['older_sessions']} LoRaWAN sessions"
        print(f"Left under older keys: {older}; {_OLDER}")
