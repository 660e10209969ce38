/**
 * Which addresses may be sent to. A receiver's URL is a tenant's word, and this process stands where the tenant does not:
 * beside databases and the metadata of clouds. What a name leads to is judged when the connection is made, by the address
 * that it is made to, so that a name cannot lead elsewhere after it was judged.
 */
import { BlockList, isIP } from 'node:net';

/** Everything that is not the public internet, by the registries of special purposes (RFC 6890 and its updates). */
const NOT_PUBLIC: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];

const ipv4 = new BlockList();
for (const [net, bits] of NOT_PUBLIC) ipv4.addSubnet(net, bits, 'ipv4');
const globalUnicast = new BlockList();
globalUnicast.addSubnet('2000::', 3, 'ipv6');
/** Within it: Teredo and others of the protocol registry, documentation (twice), 6to4. */
const ipv6 = new BlockList();
ipv6.addSubnet('2001::', 23, 'ipv6');
ipv6.addSubnet('2001:db8::', 32, 'ipv6');
ipv6.addSubnet('3fff::', 20, 'ipv6');
ipv6.addSubnet('2002::', 16, 'ipv6');

/**
 * Whether an IP address is one of the public internet. Addresses of IPv4 inside of IPv6 (mapped, 6to4, NAT64) are not.
 *
 * @example
 * isPublicAddress('169.254.169.254'); // false
 */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !ipv4.check(address, 'ipv4');
    case 6:
      return !address.includes('%') && globalUnicast.check(address, 'ipv6') && !ipv6.check(address, 'ipv6');
    default:
      return false;
  }
}
