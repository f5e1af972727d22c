// A LoRaWAN device by other hands: npm's lora-packet joins, sends and reads. One JSON object a line in, one out.
//   {do: "join", app_key, join_eui, dev_eui, dev_nonce}   -> {frame}
//   {do: "accept", app_key, frame, dev_nonce}             -> the session, which it keeps
//   {do: "send", fcnt, port, payload}                     -> {frame}
//   {do: "hear", frame}                                   -> {mic, fcnt, port, payload, fopts}
"use strict";
const lora = require(process.argv[2]);
const readline = require("readline");

const bytes = (hex) => Buffer.from(hex, "hex");
const hex = (buffer) => Buffer.from(buffer || []).toString("hex");
let session;

const acts = {
  join(c) {
    const fields = {
      MType: "Join Request", AppEUI: bytes(c.join_eui), DevEUI: bytes(c.dev_eui), DevNonce: bytes(c.dev_nonce),
    };
    return { frame: hex(lora.fromFields(fields, undefined, undefined, bytes(c.app_key)).getPHYPayload()) };
  },
  accept(c) {
    const key = bytes(c.app_key);
    const packet = lora.fromWire(lora.decryptJoinAccept(lora.fromWire(bytes(c.frame)), key));
    const keys = lora.generateSessionKeys10(key, packet.NetID, packet.AppNonce, bytes(c.dev_nonce));
    session = { address: packet.DevAddr, nwk: keys.NwkSKey, app: keys.AppSKey };
    return {
      mic: lora.verifyMIC(packet, undefined, key), dev_addr: hex(packet.DevAddr), cf_list: hex(packet.CFList),
      settings: hex(packet.DLSettings), rx_delay: hex(packet.RxDelay),
    };
  },
  send(c) {
    const fields = {
      MType: "Unconfirmed Data Up", DevAddr: session.address, FCtrl: { ADR: true }, FCnt: c.fcnt, FPort: c.port,
      payload: bytes(c.payload),
    };
    return { frame: hex(lora.fromFields(fields, session.app, session.nwk).getPHYPayload()) };
  },
  hear(c) {
    const packet = lora.fromWire(bytes(c.frame));
    return {
      mic: lora.verifyMIC(packet, session.nwk), fcnt: packet.getFCnt(), port: packet.getFPort(),
      payload: hex(lora.decrypt(packet, session.app, session.nwk)), fopts: hex(packet.FOpts),
    };
  },
};
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const c = JSON.parse(line);
  let answer;
  try {
    answer = acts[c.do](c);
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
});
