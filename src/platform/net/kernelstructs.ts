// Where the fields of the kernel's structures are, by word size: LP64 and ILP32, little-endian, glibc and musl alike (musl's padded int
// fields coincide with size_t on little-endian). Offsets only.

export type Layout = {
  readonly pointer: 4 | 8;
  readonly iovec: { readonly base: number; readonly length: number; readonly bytes: number };
  readonly msghdr: {
    readonly name: number;
    readonly nameLength: number;
    readonly iov: number;
    readonly iovLength: number;
    readonly control: number;
    readonly controlLength: number;
    readonly flags: number;
    readonly bytes: number;
  };
  readonly cmsghdr: {
    readonly length: number;
    readonly level: number;
    readonly type: number;
    readonly data: number;
    readonly align: number;
  };
  readonly ifreq: { readonly name: 0; readonly value: 16; readonly bytes: number };
  /** What the libc symbol `clock_gettime` gives: on 32 bits it is the time32 variant. */
  readonly timespec: { readonly seconds: 0; readonly nanoseconds: number; readonly bytes: number };
};

export const lp64: Layout = {
  pointer: 8,
  iovec: { base: 0, length: 8, bytes: 16 },
  msghdr: {
    name: 0,
    nameLength: 8,
    iov: 16,
    iovLength: 24,
    control: 32,
    controlLength: 40,
    flags: 48,
    bytes: 56,
  },
  cmsghdr: { length: 0, level: 8, type: 12, data: 16, align: 8 },
  ifreq: { name: 0, value: 16, bytes: 40 },
  timespec: { seconds: 0, nanoseconds: 8, bytes: 16 },
};

export const ilp32: Layout = {
  pointer: 4,
  iovec: { base: 0, length: 4, bytes: 8 },
  msghdr: {
    name: 0,
    nameLength: 4,
    iov: 8,
    iovLength: 12,
    control: 16,
    controlLength: 20,
    flags: 24,
    bytes: 28,
  },
  cmsghdr: { length: 0, level: 4, type: 8, data: 12, align: 4 },
  ifreq: { name: 0, value: 16, bytes: 32 },
  timespec: { seconds: 0, nanoseconds: 4, bytes: 8 },
};

export function layoutOf(pointerBytes: 4 | 8): Layout {
  return pointerBytes === 8 ? lp64 : ilp32;
}

/** cmsg_len of `data` bytes (CMSG_LEN). */
export function cmsgLength(layout: Layout, data: number): number {
  return layout.cmsghdr.data + data;
}

/** Room a control message of `data` bytes takes (CMSG_SPACE). */
export function cmsgSpace(layout: Layout, data: number): number {
  const { align } = layout.cmsghdr;
  return (cmsgLength(layout, data) + align - 1) & ~(align - 1);
}

// Layouts that do not depend on the word size.

export const sockaddrIn = { family: 0, port: 2, address: 4, bytes: 16 } as const;
export const sockaddrIn6 = { family: 0, port: 2, flow: 4, address: 8, scope: 24, bytes: 28 } as const;
export const sockaddrNl = { family: 0, portId: 4, groups: 8, bytes: 12 } as const;
export const inPktinfo = { ifindex: 0, local: 4, destination: 8, bytes: 12 } as const;
export const in6Pktinfo = { destination: 0, ifindex: 16, bytes: 20 } as const;
/** struct epoll_event, the event mask in front: packed on x86-64, and so it is by nature on 32-bit x86. */
export const epollEvent: { readonly data: number; readonly bytes: number } =
  process.arch === 'x64' || process.arch === 'ia32' ? { data: 4, bytes: 12 } : { data: 8, bytes: 16 };
/** struct virtio_net_hdr in front of each packet of a TUN opened with IFF_VNET_HDR. */
export const vnetHeaderBytes = 10;
