// spillway: the launcher and operator's command. See README.md here.
#include "control/launcher/run_command.h"

int main(int argc, char** argv) {
  return spillway::run_command({argv + (argc > 0 ? 1 : 0), argv + argc});
}
