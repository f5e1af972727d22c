"""Datagrams and JSON of packet forwarders by other hands; each says whose."""

import json
from typing import Any

# PROTOCOL.TXT of Lora-net/packet_forwarder 4.0.1, section 4, white space as there. Its base64 is unpadded, and of the
# URL-safe alphabet in one place.
PROTOCOL_TXT = b"""{"rxpk":[
	{
		"time":"2013-03-31T16:21:17.528002Z",
		"tmst":3512348611,
		"chan":2,
		"rfch":0,
		"freq":866.349812,
		"stat":1,
		"modu":"LORA",
		"datr":"SF7BW125",
		"codr":"4/6",
		"rssi":-35,
		"lsnr":5.1,
		"size":32,
		"data":"-DS4CGaDCdG+48eJNM3Vai-zDpsR71Pn9CPA9uCON84"
	},{
		"time":"2013-03-31T16:21:17.530974Z",
		"tmst":3512348514,
		"chan":9,
		"rfch":1,
		"freq":869.1,
		"stat":1,
		"modu":"FSK",
		"datr":50000,
		"rssi":-75,
		"size":16,
		"data":"VEVTVF9QQUNLRVRfMTIzNA=="
	},{
		"time":"2013-03-31T16:21:17.532038Z",
		"tmst":3316387610,
		"chan":0,
		"rfch":0,
		"freq":863.00981,
		"stat":1,
		"modu":"LORA",
		"datr":"SF10BW125",
		"codr":"4/7",
		"rssi":-38,
		"lsnr":5.5,
		"size":32,
		"data":"ysgRl452xNLep9S1NTIg2lomKDxUgn3DJ7DE+b00Ass"
	}
]}"""

# PROTOCOL.md of Lora-net/sx1302_hal 2.1.0, section 4.
STAT_SX1302 = b"""{"stat":{
    "time":"2014-01-12 08:59:28 GMT",
    "lati":46.24000,
    "long":3.25230,
    "alti":145,
    "rxnb":2,
    "rxok":2,
    "rxfw":2,
    "ackr":100.0,
    "dwnb":2,
    "txnb":2,
    "temp": 23.2
}}"""

# lora_pkt_fwd as logged in the guides of ChirpStack (chirpstack-docs, connect gateway) and of Azure's LoRaWAN starter
# kit, and in the tests of gwmp 0.0.1.
CHIRPSTACK_DOCS = (
    b'{"rxpk":[{"tmst":661201908,"time":"2020-10-06T13:25:02.523074Z","tmms":1286025921523,"chan":1,"rfch":1,'
    b'"freq":868.300000,"stat":1,"modu":"LORA","datr":"SF11BW125","codr":"4/5","lsnr":8.0,"rssi":-42,"size":23,'
    b'"data":"AAEAAAAAAAAAAQEBAQEBAQGheWrMbQo="}]}'
)
AZURE = (
    b'{"rxpk":[{"tmst":3831950603,"chan":2,"rfch":1,"freq":868.500000,"stat":1,"modu":"LORA","datr":"SF7BW125",'
    b'"codr":"4/5","lsnr":8.5,"rssi":-30,"size":23,"data":"AOMUAAAAAHq+EABDAGjIqkfZtkroyCc="}]}'
)
GWMP = (
    b'{"rxpk":[{"tmst":114911539,"time":"2015-03-01T20:47:55.316877Z","chan":0,"rfch":1,"freq":868.100000,'
    b'"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/5","lsnr":9.8,"rssi":-31,"size":23,'
    b'"data":"QAMAsqEABAADveh1TF3VY8Lxqn0pjx4="}]}'
)

# Two antennas: a test of TheThingsNetwork/lorawan-stack (pkg/ttnpb/udp/translation_test.go), and a Kerlink iBTS as
# logged by one of its users.
TWO_ANTENNAS = b"""{
    "rxpk": [{
        "tmst": 879148780,
        "time": "2017-07-04T13:51:17.997099Z",
        "rfch": 0,
        "freq": 868.500000,
        "stat": 1,
        "modu": "LORA",
        "datr": "SF7BW125",
        "codr": "4/5",
        "size": 24,
        "data": "gM+AMQcAvgQBlohnlJqUGOJKTDuTscQD",
        "aesk": 42,
        "rsig": [{
            "ant": 0, "chan": 7, "lsnr": 14.0, "etime": "42QMzOlYSSPMMeqVPrY0fQ==", "rssis": -92, "rssic": -95,
            "rssisd": 0, "ftime": 1255738435, "foff": -8898, "ft2d": -251, "rfbsb": 100, "rs2s1": 97
        }, {
            "ant": 1, "chan": 23, "lsnr": 14.0, "etime": "djGiSzOC+gCT7vRPv7+Asw==", "rssis": -88, "rssic": -93,
            "rssisd": 0, "ftime": 1252538436, "foff": -8898, "ft2d": -187, "rfbsb": 100, "rs2s1": 104
        }]
    }]
}"""
KERLINK = (
    b'{"rxpk":[{"aesk":0,"brd":2,"codr":"4/5","data":"QLgAFgCATNkGLGbX832w","datr":"SF7BW125","freq":867.5,"jver":2,'
    b'"modu":"LORA","rsig":[{"ant":0,"chan":2,"etime":"+PeyOghPpvR4YnV9mNJt0w==","foff":3773,"ftdelta":443,"ftstat":0,'
    b'"ftver":1,"lsnr":-7.0,"rssic":-108,"rssis":-116,"rssisd":0},{"ant":1,"chan":2,"etime":"BIuzSsIZVqi2aCfDYImC6Q==",'
    b'"foff":3786,"ftdelta":270,"ftstat":0,"ftver":1,"lsnr":-9.0,"rssic":-110,"rssis":-120,"rssisd":1}],"size":15,'
    b'"stat":1,"time":"2022-05-27T09:41:21.091993Z","tmst":3593099307}]}'
)

# chirpstack-gateway-bridge, internal/backend/semtechudp/packets: push_data_test.go, pull_data_test.go, tx_ack_test.go.
BRIDGE_PUSH_DATA = bytes([2, 123, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 123, 125])
BRIDGE_PULL_DATA = bytes([2, 123, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8])
BRIDGE_TX_ACK_NUL = bytes([2, 123, 0, 5, 8, 7, 6, 5, 4, 3, 2, 1, 0])
BRIDGE_TX_ACK_ERROR = bytes([2, 123, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0]) + b'{"txpk_ack":{"error":"COLLISION_BEACON"}}'

# Datagrams written by pamoja-gateway 0.2.0 (the module `pamoja.gateway`): one of each kind, EUI 00000000000000a1.
PAMOJA_PULL_DATA = bytes.fromhex("0212340200000000000000a1")
PAMOJA_PUSH_DATA = bytes.fromhex("0212340000000000000000a1") + (
    b'{"rxpk":[{"chan":0,"codr":"4/5","data":"QAECAw==","datr":"SF9BW125","freq":868.1,"lsnr":5.5,"modu":"LORA",'
    b'"rfch":0,"rssi":-101,"size":4,"stat":1,"tmst":4294967295}],"stat":{"ackr":100.0,"dwnb":1,"rxfw":2,"rxnb":3,'
    b'"rxok":2,"time":"2026-11-18 11:06:40 GMT","txnb":1}}'
)
PAMOJA_TX_ACK = bytes.fromhex("02beef0500000000000000a1") + b'{"txpk_ack":{"error":"TOO_LATE"}}'


def packet(**changes: Any) -> dict[str, Any]:
    """Return one element of "rxpk"; None takes a field out."""
    fields: dict[str, Any] = {
        "tmst": 1_000_000,
        "freq": 868.1,
        "stat": 1,
        "modu": "LORA",
        "datr": "SF9BW125",
        "codr": "4/5",
        "rssi": -101,
        "lsnr": 5.5,
        "size": 4,
        "data": "QAECAw==",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def push(*packets: dict[str, Any], **others: Any) -> bytes:
    """Return the body of a PUSH_DATA."""
    return json.dumps({"rxpk": list(packets), **others}).encode()
