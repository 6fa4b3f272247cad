"""L1: a child's heart. Clock, timer wheel, epoll reactor, signals. The only room that sleeps."""
