// The four messages of whitepaper §5.4, as offsets and lengths: the one place readers and writers share (W1–W6). Knows
// nothing of their meaning. Integers are little-endian; the type is a whole u32, so the three reserved bytes are zero.

export const typeInitiation = 1;
export const typeResponse = 2;
export const typeCookieReply = 3;
export const typeData = 4;

export const typeAt = 0;

/** Initiation (W3). */
export const initiationBytes = 148;
export const initiationSenderAt = 4;
export const initiationEphemeralAt = 8;
export const initiationStaticAt = 40;
export const initiationTimestampAt = 88;
export const initiationMac1At = 116;
export const initiationMac2At = 132;

/** Response (W4). */
export const responseBytes = 92;
export const responseSenderAt = 4;
export const responseReceiverAt = 8;
export const responseEphemeralAt = 12;
export const responseEmptyAt = 44;
export const responseMac1At = 60;
export const responseMac2At = 76;

/** Cookie reply (W5). */
export const cookieReplyBytes = 64;
export const cookieReceiverAt = 4;
export const cookieNonceAt = 8;
export const cookieSealedAt = 32;

/** Transport data (W6); a keepalive is header and tag alone. */
export const dataReceiverAt = 4;
export const dataCounterAt = 8;
export const dataHeaderBytes = 16;
export const tagBytes = 16;
export const dataOverheadBytes: number = dataHeaderBytes + tagBytes;
export const keepaliveBytes: number = dataOverheadBytes;

/** The largest message: a padded packet of the largest MTU. */
export const maxMessageBytes: number = 65_535 + dataOverheadBytes;

const paddingMultiple = 16;

/**
 * Length of an inner packet after padding: a multiple of 16, but never beyond the MTU; a packet larger than the MTU (which
 * should not happen) is padded as if it were its last fragment (D5, the kernel's calculate_skb_padding).
 */
export function paddedLength(bytes: number, mtu: number): number {
  if (mtu <= 0) return align(bytes);
  const last = bytes > mtu ? bytes % mtu : bytes;
  return bytes - last + Math.min(mtu, align(last));
}

function align(bytes: number): number {
  return (bytes + paddingMultiple - 1) & -paddingMultiple;
}

/** True when `bytes` is a legal length for `type`; false for types that do not exist (W2). */
export function isLegalLength(type: number, bytes: number): boolean {
  switch (type) {
    case typeInitiation:
      return bytes === initiationBytes;
    case typeResponse:
      return bytes === responseBytes;
    case typeCookieReply:
      return bytes === cookieReplyBytes;
    case typeData:
      return bytes >= dataOverheadBytes;
    default:
      return false;
  }
}
