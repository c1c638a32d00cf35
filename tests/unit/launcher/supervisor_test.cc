// Restart, back-off, watchdog and the order of ending, with children that fail on
// purpose. The supervisor runs in a process of its own: it owns that process' signals.
#include "control/launcher/supervisor.h"

#include <gmock/gmock.h>

#include "tests/unit/launcher/launcher_rig.h"

namespace spillway {
namespace {

using testing::HasSubstr;

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    abi::BootConfig boot{};
    boot.workers = 1;
    auto fds = abi::create_regions(boot);
    ASSERT_TRUE(fds.ok());
    fds_ = *fds;
    control_ = *abi::map_control_read(fds_.control);
    datapath_ = *abi::map_datapath_read(fds_.datapath);
    options_.drain_timeout = seconds(20);
  }
  void TearDown() override {
    for (int fd : {fds_.boot, fds_.control, fds_.keys, fds_.datapath}) ::close(fd);
  }

  SupervisedChild child(bool control, const std::string& orders) const {
    SupervisedChild c;
    c.spec.name = control ? "fake-control" : "fake-datapath";
    c.spec.path = control ? SPILLWAY_FAKE_CONTROL : SPILLWAY_FAKE_DATAPATH;
    c.spec.descriptors = {{fds_.boot, abi::kFdBoot, true},
                          {fds_.control, abi::kFdControl, !control},
                          {fds_.keys, abi::kFdKeys, !control},
                          {fds_.datapath, abi::kFdDatapath, control}};
    c.spec.environment = child_environment();
    c.spec.environment.push_back("FAKE_DIR=" + directory_.path());
    c.spec.environment.push_back((control ? "FAKE_CONTROL=" : "FAKE_DATAPATH=") + orders);
    c.status = control ? &control_->status : &datapath_->status;
    return c;
  }

  int supervise(SupervisedChild control, SupervisedChild datapath) const {
    auto print = [](const std::string& text) {
      const std::string line = text + "\n";
      [[maybe_unused]] const ssize_t n = ::write(1, line.data(), line.size());
    };
    SupervisorHooks hooks;
    hooks.info = print;
    hooks.alarm = print;
    hooks.ready = [&] { print("READY"); };
    hooks.stopping = [&] { print("STOPPING"); };
    hooks.turn = [] {};
    Supervisor supervisor(options_, std::move(control), std::move(datapath), hooks);
    return supervisor.run();
  }

  std::unique_ptr<WatchedProcess> start(const std::string& control, const std::string& datapath) {
    return std::make_unique<WatchedProcess>(
        [=, this] { return supervise(child(true, control), child(false, datapath)); });
  }
  std::string events() const { return directory_.read("events"); }
  pid_t control_pid() const { return static_cast<pid_t>(control_->status.pid.load()); }
  pid_t datapath_pid() const { return static_cast<pid_t>(datapath_->status.pid.load()); }

  TemporaryDirectory directory_;
  SupervisorOptions options_;
  abi::RegionFds fds_;
  abi::MappedRegion<const abi::ControlRegion> control_;
  abi::MappedRegion<const abi::DatapathRegion> datapath_;
};

TEST_F(SupervisorTest, StartsBothAndEndsControlBeforeTheDatapath) {
  auto p = start("drain=300", "");
  p->prints("READY");
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
  EXPECT_THAT(p->output(), HasSubstr("STOPPING"));
  const std::string log = events();
  EXPECT_THAT(log, HasSubstr("control term\ncontrol end\ndatapath term\ndatapath end\n"));
  EXPECT_FALSE(exists(control_pid()));
  EXPECT_FALSE(exists(datapath_pid()));
}

TEST_F(SupervisorTest, RestartsOnTheSameMemoryAndSaysWhy) {
  auto p = start("", "die=2");
  // The starts counter lies in the memory that is handed on.
  EXPECT_TRUE(eventually([&] { return datapath_->status.starts.load() == 3; }));
  p->prints("fake-datapath exited with code 3; starting it again in 50 ms");
  p->prints("fake-datapath runs again");
  EXPECT_EQ(control_->status.starts.load(), 1u) << "the other one must not notice";
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
}

TEST_F(SupervisorTest, SaysWhichSignalKilledAChild) {
  auto p = start("", "");
  p->prints("READY");
  ::kill(control_pid(), SIGKILL);  // sanitizers catch the others
  p->prints("fake-control was killed by signal 9 (Killed); starting it again");
  p->prints("fake-control runs again");
  p->signal(SIGINT);
  EXPECT_EQ(p->wait_end(), 0);
}

TEST_F(SupervisorTest, BacksOffAfterManyDeathsUpToTheLimit) {
  options_.restart_delay = millis(2);
  options_.restart_delay_max = millis(16);
  options_.window = seconds(600);
  auto p = start("", "die-early");
  p->prints("in 16 ms (death 10 within 600 s)");
  const std::string& out = p->output();
  EXPECT_EQ(count(out, "again in 2 ms\n"), 5u);  // `burst` deaths at the plain delay
  EXPECT_EQ(count(out, "again in 4 ms (death 6 "), 1u);
  EXPECT_EQ(count(out, "again in 8 ms (death 7 "), 1u);
  EXPECT_EQ(count(out, "again in 16 ms (death 8 "), 1u);
  EXPECT_THAT(out, Not(HasSubstr("in 32 ms")));
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
}

TEST_F(SupervisorTest, KillsAndRestartsAChildWhoseHeartbeatStops) {
  auto p = start("hang=1", "");
  p->prints("fake-control hung (no heartbeat for ");
  EXPECT_TRUE(eventually([&] { return control_->status.starts.load() == 2; }));
  EXPECT_THAT(p->output(), HasSubstr("and was killed; starting it again"));
  EXPECT_EQ(datapath_->status.starts.load(), 1u);
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
}

TEST_F(SupervisorTest, KillsAStoppedChild) {
  auto p = start("", "");
  p->prints("READY");
  ::kill(datapath_pid(), SIGSTOP);
  p->prints("fake-datapath hung");
  p->prints("fake-datapath runs again");
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
}

TEST_F(SupervisorTest, PauseOfEverythingIsNotAHang) {
  // Aim: a machine that was suspended must not lose both processes on waking up.
  auto p = start("", "");
  p->prints("READY");
  const pid_t all[] = {p->pid(), control_pid(), datapath_pid()};
  for (pid_t pid : all) ::kill(pid, SIGSTOP);
  std::this_thread::sleep_for(std::chrono::milliseconds(3000));
  ::kill(all[0], SIGCONT);  // the launcher first: it sees old heartbeats
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  ::kill(all[1], SIGCONT);
  ::kill(all[2], SIGCONT);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_EQ(control_->status.starts.load(), 1u) << p->output();
  EXPECT_EQ(datapath_->status.starts.load(), 1u) << p->output();
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
}

TEST_F(SupervisorTest, SlowStartIsNotAHang) {
  options_.stale = millis(100);
  auto p = start("silent", "silent");
  ASSERT_TRUE(eventually([&] { return control_->status.starts.load() == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_EQ(control_->status.starts.load(), 1u);
  EXPECT_THAT(p->output(), Not(HasSubstr("READY")));
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
}

TEST_F(SupervisorTest, WatchdogCanBeSwitchedOff) {
  options_.watchdog = false;
  options_.stale = millis(100);
  auto p = start("hang=1", "");
  p->prints("READY");
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_EQ(control_->status.starts.load(), 1u);
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
}

TEST_F(SupervisorTest, RefusalAtStartEndsEverything) {
  auto p = start("refuse", "");
  EXPECT_EQ(p->wait_end(), kExitRefused);
  EXPECT_THAT(p->output(), HasSubstr("fake-control refused to start"));
  EXPECT_EQ(control_->status.starts.load(), 1u);
  EXPECT_FALSE(exists(datapath_pid()));
}

TEST_F(SupervisorTest, RefusalAfterHavingRunIsOnlyADeath) {
  auto p = start("", "refuse-later");
  p->prints("fake-datapath exited with code 78; starting it again");
  EXPECT_TRUE(eventually([&] { return datapath_->status.starts.load() >= 3; }));
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
}

TEST_F(SupervisorTest, MissingProgramIsRefusedWithItsName) {
  SupervisedChild control = child(true, "");
  control.spec.path = "/nonexistent/spillway-control";
  WatchedProcess p([&] { return supervise(control, child(false, "")); });
  EXPECT_EQ(p.wait_end(), kExitRefused);
  EXPECT_THAT(p.output(), HasSubstr("start /nonexistent/spillway-control: No such file"));
}

TEST_F(SupervisorTest, DrainIsCutAtItsTimeout) {
  options_.drain_timeout = millis(200);
  options_.drain_grace = millis(200);
  auto p = start("ignore-term", "");
  p->prints("READY");
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
  EXPECT_THAT(p->output(), HasSubstr("did not end in time and is killed"));
  EXPECT_THAT(events(), HasSubstr("control term\ndatapath term\ndatapath end\n"));
  EXPECT_FALSE(exists(control_pid()));
}

TEST_F(SupervisorTest, SecondSignalEndsTheDrain) {
  options_.drain_timeout = seconds(600);
  auto p = start("drain=500000", "");
  p->prints("READY");
  p->signal(SIGTERM);
  p->prints("draining");
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
  EXPECT_THAT(p->output(), HasSubstr("stopping at once"));
  EXPECT_THAT(events(), HasSubstr("control end"));
}

TEST_F(SupervisorTest, ThirdSignalKillsWhatIgnoresTheOthers) {
  options_.drain_timeout = seconds(600);
  options_.forced_timeout = seconds(600);
  auto p = start("ignore-term", "ignore-term");
  p->prints("READY");
  for (int i = 0; i < 3; ++i) {
    p->signal(SIGTERM);
    p->prints(i == 0 ? "draining" : "at once");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(p->wait_end(), 0);
  EXPECT_FALSE(exists(control_pid()));
  EXPECT_FALSE(exists(datapath_pid()));
}

TEST_F(SupervisorTest, DatapathThatDiesWhileControlDrainsIsReplaced) {
  auto p = start("drain=2000", "");
  p->prints("READY");
  p->signal(SIGTERM);
  p->prints("draining");
  ::kill(datapath_pid(), SIGKILL);
  p->prints("fake-datapath runs again");
  EXPECT_EQ(p->wait_end(), 0);
  EXPECT_EQ(control_->status.starts.load(), 1u);
}

TEST_F(SupervisorTest, ChildrenEndWhenTheLauncherIsKilled) {
  auto p = start("ignore-term", "ignore-term");
  p->prints("READY");
  const pid_t control = control_pid();
  const pid_t datapath = datapath_pid();
  p->signal(SIGKILL);
  EXPECT_EQ(p->wait_end(), 1000 + SIGKILL);
  EXPECT_TRUE(eventually([&] { return !exists(control) && !exists(datapath); }));
}

}  // namespace
}  // namespace spillway
