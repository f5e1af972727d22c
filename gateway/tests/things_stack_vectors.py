"""Messages as The Things Stack documents them (TheThingsIndustries/lorawan-stack-docs), less white space and tokens.

UP, JOIN: doc/content/integrations/data-formats. MQTT_UP, DOWN_ACK: other-integrations/mqtt. FAILED: data-formats.
STORED: integrations/storage/retrieve.md, two lines. FORMATTED: what pkg/applicationserver/io/formatters/json_test.go of
the server expects of itself; it names no DevEUI.
"""

UP = b"""{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"},"dev_eui":"0004A30B001C0530",
"join_eui":"800000000000000C","dev_addr":"00BCB929"},"correlation_ids":["as:up:01E0WZGT6Y7657CPFPE5WEYDSQ",
"gs:conn:01E0WDEC6T5T4XXBAX7S1VMFKE"],"received_at":"2020-02-12T15:15:46.014773143Z","uplink_message":{
"session_key_id":"AXA50tHUGUucuzS/bCGMNw==","f_cnt":1,"frm_payload":"gkHe","decoded_payload":{"temperature":1.0,
"luminosity":0.64},"rx_metadata":[{"gateway_ids":{"gateway_id":"gtw1","eui":"9C5C8E00001A05C4"},
"time":"2020-02-12T15:15:45.787Z","timestamp":2463457000,"rssi":-35,"channel_rssi":-35,"snr":5,
"uplink_token":"ChIKEAoEZ3R3MRIInFyOAAAaBcQQ6L3Vlgk=","channel_index":2}],"settings":{"data_rate":{"lora":{
"bandwidth":125000,"spreading_factor":7}},"coding_rate":"4/6","frequency":"868300000","timestamp":2463457000,
"time":"2020-02-12T15:15:45.787Z"},"consumed_airtime":"0.056576s","received_at":"2020-02-12T15:15:45.789585559Z"}}"""

JOIN = b"""{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"},
"dev_eui":"0004A30B001C0530","join_eui":"800000000000000C","dev_addr":"01497ECC"},"correlation_ids":["as:up:01E191YN5F2HMBQCBCVRF731VY"],
"received_at":"2020-02-17T07:49:09.935284891Z","join_accept":{"session_key_id":"AXBSH1Pk6Z0G166RlH16CQ==",
"received_at":"2020-02-17T07:49:09.736532315Z","attributes":{"key1":"value1","key2":"value2"}}}"""

MQTT_UP = b"""{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"},
"dev_eui":"4200000000000000","join_eui":"4200000000000000","dev_addr":"01DA1F15"},"correlation_ids":[],
"uplink_message":{"session_key_id":"AWiZpAyXrAfEkUNkBljRoA==","f_port":15,"frm_payload":"VGVtcGVyYXR1cmUgPSAwLjA=",
"rx_metadata":[{"gateway_ids":{"gateway_id":"eui-0242020000247803","eui":"0242020000247803"},
"time":"2019-01-29T13:02:34.981Z","timestamp":1283325000,"rssi":-35,"snr":5,
"uplink_token":"CiIKIAoUZXVpLTAyNDIwMjAwMDAyNDc4MDMSCAJCAgAAJHgDEMj49+ME"}],"settings":{"data_rate":{"lora":{
"bandwidth":125000,"spreading_factor":7}},"coding_rate":"4/6","frequency":"868500000","gateway_channel_index":2,
"device_channel_index":2}}}"""

DOWN_ACK = b"""{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"},
"dev_eui":"4200000000000000","join_eui":"4200000000000000","dev_addr":"00E6F42A"},"correlation_ids":[
"my-correlation-id","..."],"downlink_ack":{"session_key_id":"AWnj0318qrtJ7kbudd8Vmw==","f_port":15,"f_cnt":11,
"frm_payload":"vu8=","confirmed":true,"priority":"NORMAL","correlation_ids":["my-correlation-id","..."]}}"""

FAILED = b"""{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"}},"correlation_ids":[
"as:downlink:01E19Z5W3BZBG7CXSJE9C0A3CE"],"downlink_failed":{"downlink":{"f_port":15,"frm_payload":"vu8=",
"confirmed":true,"priority":"NORMAL","correlation_ids":["as:downlink:01E19Z5W3BZBG7CXSJE9C0A3CE"]},"error":{
"namespace":"pkg/networkserver","name":"application_downlink_too_long",
"message_format":"application downlink payload is too long","correlation_id":"2e7f786912e946e597894e381d0ad7b0",
"code":3}}}"""

STORED = (
    b'{"result":{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"},'
    b'"dev_eui":"1111111111111111","dev_addr":"014457CB"},"received_at":"2020-08-24T10:08:44.868680817Z",'
    b'"uplink_message":{"session_key_id":"AXPoziFRvbcEguvZQoCCZw==","f_port":10,"f_cnt":43,'
    b'"frm_payload":"AQoBCgEKAQo=","rx_metadata":[{"gateway_ids":{"gateway_id":"gtw1"},'
    b'"time":"2020-08-24T10:08:43.385687165Z","timestamp":3313328983,"uplink_token":"ChIKEAoEZ3R3MRIIEREREREREREQ1"}],'
    b'"settings":{"data_rate":{"lora":{"bandwidth":125000,"spreading_factor":12}},"coding_rate":"4/5",'
    b'"frequency":"868100000","timestamp":3313328983,"time":"2020-08-24T10:08:43.385687165Z"},'
    b'"received_at":"2020-08-24T10:08:44.634338856Z"}}}',
    b'{"result":{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"},'
    b'"dev_eui":"1111111111111111","dev_addr":"014457CB"},"received_at":"2020-08-24T10:08:49.144907967Z",'
    b'"uplink_message":{"session_key_id":"AXPoziFRvbcEguvZQoCCZw==","f_port":10,"f_cnt":44,'
    b'"frm_payload":"AQoBCgEKAQo=","rx_metadata":[{"gateway_ids":{"gateway_id":"gtw1"},'
    b'"time":"2020-08-24T10:08:48.891099194Z","timestamp":3318834395,"uplink_token":"ChIKEAoEZ3R3MRIIEREREREREREQ2"}],'
    b'"settings":{"data_rate":{"lora":{"bandwidth":125000,"spreading_factor":12}},"coding_rate":"4/5",'
    b'"frequency":"868100000","timestamp":3318834395,"time":"2020-08-24T10:08:48.891099194Z"},'
    b'"received_at":"2020-08-24T10:08:48.931407608Z"}}}',
)

FORMATTED = (
    b'{"end_device_ids":{"device_id":"foo-device","application_ids":{"application_id":"foo-app"}},"uplink_message":'
    b'{"session_key_id":"ESIzRA==","f_port":42,"f_cnt":42,"frm_payload":"AQID","decoded_payload":{"test_key":42}}}'
)
