// Boost.JSON's implementation, compiled once for what links spillway_config. Alone in
// its object file: a program that brings the same from elsewhere does not pull this in.
#include <boost/json/src.hpp>
