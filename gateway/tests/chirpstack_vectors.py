"""Events as ChirpStack documents them: src/chirpstack/integrations/events.md of chirpstack/chirpstack-docs, verbatim.

Only "tags", which the documented `status` lacks, is in all of them.
"""

DEV_EUI = "0101010101010101"
APPLICATION = "17c82e96-be03-4f38-aef3-f83d48582d97"

_DEVICE = b"""
    "deviceInfo": {
        "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
        "tenantName": "ChirpStack",
        "applicationId": "17c82e96-be03-4f38-aef3-f83d48582d97",
        "applicationName": "Test application",
        "deviceProfileId": "14855bf7-d10d-4aee-b618-ebfcb64dc7ad",
        "deviceProfileName": "Test device-profile",
        "deviceName": "Test device",
        "devEui": "0101010101010101",
        "tags": {
            "key": "value"
        }
    },"""

UP = (
    b"""{
    "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
    "time": "2022-07-18T09:34:15.775023242+00:00","""
    + _DEVICE
    + b"""
    "devAddr": "00189440",
    "dr": 1,
    "fPort": 1,
    "data": "qg==",
    "rxInfo": [{
        "gatewayId": "0016c001f153a14c",
        "uplinkId": 4217106255,
        "rssi": -36,
        "snr": 10.5,
        "context": "E3OWOQ==",
        "metadata": {
            "region_name": "eu868",
            "region_common_name": "EU868"
        }
    }],
    "txInfo": {
        "frequency": 867100000,
        "modulation": {
            "lora": {
                "bandwidth": 125000,
                "spreadingFactor": 11,
                "codeRate": "CR_4_5"
            }
        }
    }
}"""
)

STATUS = (
    b"""{
    "deduplicationId": "bf2a9746-1c8b-49be-a92e-f0b89c8534e4",
    "time": "2022-07-18T09:35:06.927172638+00:00","""
    + _DEVICE
    + b"""
    "margin": 10,
    "batteryLevel": 88.3
}"""
)

JOIN = (
    b"""{
    "deduplicationId": "c9dbe358-2578-4fb7-b295-66b44edc45a6",
    "time": "2022-07-18T09:33:28.823500726+00:00","""
    + _DEVICE
    + b"""
    "devAddr": "00189440"
}"""
)

ACK = (
    b"""{
    "deduplicationId": "856a03e7-80f6-4c26-b971-9dcb34a59c2e",
    "time": "2022-07-18T09:38:49.235700766+00:00","""
    + _DEVICE
    + b"""
    "queueItemId": "1bbcab1d-6ec6-4136-b3f5-d63be1dc08de",
    "acknowledged": true,
    "fCntDown": 3
}"""
)

TXACK = (
    b"""{
    "downlinkId": 3461958127,
    "time": "2022-07-18T09:37:48.929184085+00:00","""
    + _DEVICE
    + b"""
    "queueItemId": "42cb6459-a640-46ec-9623-bdff39dc4736",
    "fCntDown": 2,
    "gatewayId": "0016c001f153a14c",
    "txInfo": {
        "frequency": 867900000,
        "power": 14,
        "modulation": {
            "lora": {
                "bandwidth": 125000,
                "spreadingFactor": 7,
                "codeRate": "CR_4_5",
                "polarizationInversion": true
            }
        },
        "timing": {
            "delay": {
                "delay": "1s"
            }
        },
        "context": "ICYVGw=="
    }
}"""
)

LOG = (
    b"""{
    "time": "2022-07-18T09:39:57.311414029+00:00","""
    + _DEVICE
    + b"""
    "level": "ERROR",
    "code": "UPLINK_MIC",
    "description": "MIC of join-request is invalid, make sure keys are correct",
    "context": {
        "deduplication_id": "4e91db13-5ce3-4c8c-ab0f-dfc626cf0771"
    }
}"""
)

LOCATION = (
    b"""{
    "deduplicationId": "63d870b9-b769-4d88-8b33-8e43f58851a7",
    "time": "2022-07-18T09:55:11.059481003+00:00","""
    + _DEVICE
    + b"""
    "location": {
        "latitude": 37.344214,
        "longitude": -8.839375,
        "altitude": 2
    }
}"""
)
