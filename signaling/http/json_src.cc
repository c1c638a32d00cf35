// Boost.JSON's implementation, compiled once: the headers elsewhere only declare it.
#include <boost/json/src.hpp>
