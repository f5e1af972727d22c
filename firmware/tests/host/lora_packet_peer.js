// Reads and writes LoRaWAN frames with npm's lora-packet: one JSON object a line in, one out, in order.
// In: the fields of a frame, its keys, and `frame`, which the other side made of them. Out: `read`, what lora-packet
// finds in that frame, and `written`, the frame it makes of the same fields. Hexadecimal is in printed order.
"use strict";
const lora = require(process.argv[2]);
const readline = require("readline");

const bytes = (hex) => Buffer.from(hex, "hex");
const hex = (buffer) => Buffer.from(buffer || []).toString("hex");

function data(c) {
  const [nwk, app] = [bytes(c.nwk_skey), bytes(c.app_skey)];
  const high = Buffer.from([(c.fcnt >>> 16) & 0xff, c.fcnt >>> 24]); // as it lies in the blocks
  const packet = lora.fromWire(bytes(c.frame));
  const port = packet.getFPort();
  const read = {
    mic: lora.verifyMIC(packet, nwk, undefined, high),
    type: packet.getMType(),
    dev_addr: hex(packet.DevAddr),
    fcnt_low: packet.getFCnt(),
    port,
    payload: port === null ? "" : hex(lora.decrypt(packet, app, nwk, high)),
    fopts: hex(packet.FOpts),
    flags: packet.FCtrl.readUInt8(0) & 0xf0,
  };
  const fields = {
    MType: c.type,
    DevAddr: bytes(c.dev_addr),
    FCtrl: { ADR: !!(c.flags & 128), ADRACKReq: !!(c.flags & 64), ACK: !!(c.flags & 32), FPending: !!(c.flags & 16) },
    FCnt: c.fcnt & 0xffff,
    FOpts: bytes(c.fopts),
    payload: bytes(c.payload),
  };
  if (c.port !== null) fields.FPort = c.port;
  const made = lora.fromFields(fields, app, nwk, undefined, high);
  if (c.port === null) lora.recalculateMIC(made, nwk, undefined, high); // fromFields seals only frames with a port
  return { read, written: hex(made.getPHYPayload()) };
}

function joinRequest(c) {
  const key = bytes(c.app_key);
  const packet = lora.fromWire(bytes(c.frame));
  const made = lora.fromFields(
    { MType: "Join Request", AppEUI: bytes(c.join_eui), DevEUI: bytes(c.dev_eui), DevNonce: bytes(c.dev_nonce) },
    undefined, undefined, key
  );
  return {
    read: {
      mic: lora.verifyMIC(packet, undefined, key),
      join_eui: hex(packet.AppEUI),
      dev_eui: hex(packet.DevEUI),
      dev_nonce: hex(packet.DevNonce),
    },
    written: hex(made.getPHYPayload()),
  };
}

function joinAccept(c) {
  const key = bytes(c.app_key);
  const packet = lora.fromWire(lora.decryptJoinAccept(lora.fromWire(bytes(c.frame)), key));
  const keys = lora.generateSessionKeys10(key, bytes(c.net_id), bytes(c.join_nonce), bytes(c.dev_nonce));
  const made = lora.fromFields(
    {
      MType: "Join Accept",
      AppNonce: bytes(c.join_nonce), NetID: bytes(c.net_id), DevAddr: bytes(c.dev_addr),
      DLSettings: bytes(c.settings), RxDelay: bytes(c.rx_delay), CFList: bytes(c.cf_list),
    },
    undefined, undefined, key
  );
  return {
    read: {
      mic: lora.verifyMIC(packet, undefined, key),
      join_nonce: hex(packet.AppNonce),
      net_id: hex(packet.NetID),
      dev_addr: hex(packet.DevAddr),
      settings: hex(packet.DLSettings),
      rx_delay: hex(packet.RxDelay),
      cf_list: hex(packet.CFList),
      nwk_skey: hex(keys.NwkSKey),
      app_skey: hex(keys.AppSKey),
    },
    written: hex(made.MHDR) + hex(made.MACPayloadWithMIC),
  };
}

const kinds = { data, join_request: joinRequest, join_accept: joinAccept };
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const c = JSON.parse(line);
  let answer;
  try {
    answer = kinds[c.kind](c);
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
});
