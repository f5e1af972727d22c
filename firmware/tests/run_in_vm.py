# Runs the tests of one module inside the MicroPython VM: run_in_vm.py SLOT_DIR TESTS_DIR MODULE.
import sys

slot_dir, tests_dir, name = sys.argv[1:]
sys.path[:] = ["", ".frozen", slot_dir, tests_dir]
module = __import__(name)
failed = 0
for test in sorted(dir(module)):
    if test.startswith("test_"):
        try:
            getattr(module, test)()
            print("passed", test)
        except Exception as error:
            failed += 1
            print("failed", test)
            sys.print_exception(error)
sys.exit(1 if failed else 0)
