// A group under construction is a record of int32 in one array: a packet costs one bounds check, not fifteen.
export const group = {
  first: 0, // packets, in order of sequence
  last: 1,
  firstAt: 2, // where their headers are
  lastAt: 3,
  members: 4,
  payload: 5, // bytes of all members together
  segment: 6, // payload bytes of each member but the last
  headers: 7, // bytes before the payload, equal in all members
  transport: 8,
  kind: 9, // gso type; 0 is never joined
  open: 10, // 1 while packets may follow: the last member is as long as the first and bears no PSH
  pushed: 11,
  start: 12, // sequence number of the first byte, and of the one expected next
  end: 13,
  verified: 14, // the sums below are known and the checksums of all members right
  pseudo: 15, // pseudo-header without length
  header: 16, // IPv4 header without length, id and checksum
} as const;
export const groupFields = 20;
