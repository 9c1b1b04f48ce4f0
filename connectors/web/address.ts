/** Which IP addresses the crawler may dial. Octets are never compared by hand: ipaddr.js parses and matches. */
import ipaddr from 'ipaddr.js'

type Cidr<T> = [T, number]

/** Everything in IANA's IPv4 special-purpose registry, multicast, class E, and a cloud's metadata address. */
const DENIED_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '168.63.129.16/32',
].map((range) => ipaddr.IPv4.parseCIDR(range) as Cidr<ipaddr.IPv4>)

/** Global unicast is all that IANA has given out; an allowlist keeps out NAT64, ULA, link-local and what comes next. */
const GLOBAL_V6 = ipaddr.IPv6.parseCIDR('2000::/3') as Cidr<ipaddr.IPv6>
/** Inside 2000::/3 yet not public: protocol assignments with Teredo, documentation, 6to4, AS112. */
const DENIED_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20'].map(
  (range) => ipaddr.IPv6.parseCIDR(range) as Cidr<ipaddr.IPv6>,
)

/** `host` without its brackets, as an address; undefined if it is a name. */
export function literalAddress(host: string): string | undefined {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
  return ipaddr.IPv4.isValidFourPartDecimal(bare) || ipaddr.IPv6.isValid(bare) ? bare : undefined
}

/** True only for an address of the public Internet; false for anything else, unparsable text included. */
export function isPublicAddress(text: string): boolean {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return isPublicV4(ipaddr.IPv4.parse(text))
  if (!ipaddr.IPv6.isValid(text)) return false
  const address = ipaddr.IPv6.parse(text)
  if (address.zoneId) return false
  if (address.isIPv4MappedAddress()) return isPublicV4(address.toIPv4Address())
  return address.match(GLOBAL_V6) && !DENIED_V6.some((range) => address.match(range))
}

const isPublicV4 = (address: ipaddr.IPv4) =>
  address.range() === 'unicast' && !DENIED_V4.some((range) => address.match(range))
