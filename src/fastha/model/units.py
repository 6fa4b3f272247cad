"""Time units. Inside the house every time is int nanoseconds; these are the only conversion factors."""

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_US = 1_000
NS_PER_CS = 10_000_000  # centisecond: the unit of VRRPv3's Max Advertise Interval, RFC 9568 section 5.2.7
