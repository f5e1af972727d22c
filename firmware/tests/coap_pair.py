"""Two CoAP endpoints with nothing lost between them, for tests on either runtime."""

CLIENT, SERVER = ("192.0.2.9", 5683), ("192.0.2.1", 5683)


class Pair:
    """`settle` carries datagrams until there are none; events gather in `told`, requests in `asked`.

    Whoever wants to see or alter what travels sets `carry`, a function of (data, from the client) that returns data, or
    None to lose it.
    """

    def __init__(self, client, server):
        self.client = client
        self.server = server
        self.now_ms = 1_000_000
        self.told = []
        self.asked = []
        self.carried = []
        self.carry = lambda data, from_client: data

    def settle(self):
        """Carry everything both want sent, and what that makes them send."""
        moved = True
        while moved:
            moved = False
            for data, _ in self.client.datagrams_to_send(self.now_ms):
                moved = self._carry(data, True) or moved
            for data, _ in self.server.datagrams_to_send(self.now_ms):
                moved = self._carry(data, False) or moved

    def wait(self, ms):
        """Let time pass, timer by timer."""
        end_ms = self.now_ms + ms
        self.settle()
        while True:
            due = [d for d in (self.client.next_timeout(), self.server.next_timeout()) if d is not None and d <= end_ms]
            if not due:
                break
            self.now_ms = max(self.now_ms, min(due))
            self.told += self.client.handle_timeout(self.now_ms)
            self.asked += self.server.handle_timeout(self.now_ms)
            self.settle()
        self.now_ms = end_ms

    def _carry(self, data, from_client):
        data = self.carry(data, from_client)
        if data is None:
            return True
        self.carried.append((data, from_client))
        if from_client:
            self.asked += self.server.receive_datagram(data, CLIENT, self.now_ms)
        else:
            self.told += self.client.receive_datagram(data, SERVER, self.now_ms)
        return True
