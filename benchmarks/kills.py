JOBS={}
import multiprocessing
def apart(function, *arguments):
    p = multiprocessing.get_context("fork").Process(target=function, args=arguments); p.start(); p.join(); assert p.exitcode==0
kill_at_random=None
