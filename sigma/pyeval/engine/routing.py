def recognise(event): raise NotImplementedError
