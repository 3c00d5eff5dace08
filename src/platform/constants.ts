// Numbers of the Linux ABI we use, as on x86, arm and riscv (mips, sparc and parisc differ and are not targets).

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const F_GETFL = 3;
export const F_SETFL = 4;

export const MSG_TRUNC = 0x20;
export const MSG_CTRUNC = 0x8;
export const MSG_DONTWAIT = 0x40;

export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_MARK = 36;
export const SO_RXQ_OVFL = 40;

export const IPPROTO_IP = 0;
export const IP_TOS = 1;
export const IP_PKTINFO = 8;
export const IP_MTU_DISCOVER = 10;
export const IP_RECVTOS = 13;
export const IPPROTO_IPV6 = 41;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;
export const IPV6_RECVTCLASS = 66;
export const IPV6_TCLASS = 67;
export const IPV6_AUTOFLOWLABEL = 70;
export const PMTUDISC_DONT = 0;

export const SOL_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

export const TUNSETIFF = 0x400454ca;
export const TUNSETOFFLOAD = 0x400454d0;
export const TUNGETIFF = 0x800454d2;
export const TUNSETPERSIST = 0x400454cb;
export const IFF_TUN = 1;
export const IFF_NO_PI = 0x1000;
export const IFF_VNET_HDR = 0x4000;
export const TUN_F_CSUM = 1;
export const TUN_F_TSO4 = 2;
export const TUN_F_TSO6 = 4;
export const TUN_F_USO4 = 0x20;
export const TUN_F_USO6 = 0x40;

export const EPOLLIN = 1;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CLOEXEC = 0o2000000;
export const EFD_NONBLOCK = 0o4000;
export const EFD_CLOEXEC = 0o2000000;
export const MADV_DONTNEED = 4;
export const MADV_HUGEPAGE = 14;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_BOOTTIME = 7;

/** errno values worth a decision. */
export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EBUSY = 16;
export const EEXIST = 17;
export const ENODEV = 19;
export const EINVAL = 22;
export const EMSGSIZE = 90;
export const ENOPROTOOPT = 92;
export const EOPNOTSUPP = 95;
export const EAFNOSUPPORT = 97;
export const EADDRINUSE = 98;
export const EADDRNOTAVAIL = 99;
export const ENETDOWN = 100;
export const ENETUNREACH = 101;
export const ENOBUFS = 105;
export const EHOSTUNREACH = 113;

const names: Readonly<Record<number, string>> = {
  [EPERM]: 'EPERM (not permitted)',
  [ENOENT]: 'ENOENT (no such file)',
  [ESRCH]: 'ESRCH (no such entry)',
  [EINTR]: 'EINTR',
  [EIO]: 'EIO',
  [ENXIO]: 'ENXIO (no such device)',
  [EAGAIN]: 'EAGAIN',
  [ENOMEM]: 'ENOMEM (out of memory)',
  [EACCES]: 'EACCES (permission denied)',
  [EBUSY]: 'EBUSY (in use)',
  [EEXIST]: 'EEXIST (exists already)',
  [ENODEV]: 'ENODEV (no such device)',
  [EINVAL]: 'EINVAL (invalid argument)',
  [EMSGSIZE]: 'EMSGSIZE (message too long)',
  [ENOPROTOOPT]: 'ENOPROTOOPT (option not known)',
  [EOPNOTSUPP]: 'EOPNOTSUPP (not supported)',
  [EAFNOSUPPORT]: 'EAFNOSUPPORT (address family not supported)',
  [EADDRINUSE]: 'EADDRINUSE (port in use)',
  [EADDRNOTAVAIL]: 'EADDRNOTAVAIL (address not local)',
  [ENETDOWN]: 'ENETDOWN (network is down)',
  [ENETUNREACH]: 'ENETUNREACH (network unreachable)',
  [ENOBUFS]: 'ENOBUFS (no buffer space)',
  [EHOSTUNREACH]: 'EHOSTUNREACH (no route to host)',
};

/** For messages: `errnoText(-22)` and `errnoText(22)` are both "EINVAL (invalid argument)". */
export function errnoText(value: number): string {
  const errno = Math.abs(value);
  return names[errno] ?? `errno ${errno}`;
}
