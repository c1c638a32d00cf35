// Boost.JSON, header-only: its definitions live here.
#include <boost/json/src.hpp>
